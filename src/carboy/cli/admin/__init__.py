"""The commands to a running server: each asks its admin server (carboy.server.admin).

client    one request over HTTP
servers   the servers that run, and which one is meant
command   what the commands have in common: options, errors, --json
status    carboy status
crashes   carboy crashes, which reads files and needs no server
top       carboy top: its figures (top_figures), its lines (top_lines) and its screen (screen)
"""
