"""The relay: carries messages of channels between the processes of one machine.

frames       messages on a socket, and how they are read
board        the state: history, order, presence; no sockets
server       the sockets of the relay, for the supervisor or a thread
socket_file  the file of its socket, which is made again if something removes it
client       connections to a relay, for workers and scripts
place        where the relay of a project is found
own          a relay on a thread of this process
"""
