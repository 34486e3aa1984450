"""The processes of a server: a supervisor, and the workers it starts and replaces.

supervisor     the loop above the workers; SIGHUP and the other signals
development    the supervisor of `carboy dev`, which reloads when files change
generations    decides which workers are started, told to stop and killed
start_methods  forking a worker from the supervisor, or from a template process (template)
link           messages between a supervisor and a worker
worker         a process that serves, with or without a supervisor
load_check     SIGHUP without a supervisor
health         workers that are stuck: stuck (decisions), heartbeat (signs of life), stacks
child          the beginning and the end of a forked process
forced_exit    the end of a process that does not stop; orphan_timer, of an orphaned worker
preloading     packages that a template process imports
"""
