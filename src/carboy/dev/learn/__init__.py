"""The course of `carboy learn`: exercises, and the decisions about a learner's recorded requests.

A learner sends bytes to a real server, which is recorded (`recording`). The recording becomes
exchanges (`exchanges`), and the goals of an exercise look at them (`exercise`, `exercises/`,
`assessment`). Nothing here opens a socket, reads a terminal or writes a file; `carboy.cli.learn`
does.
"""
