"""`carboy migrate`: the configuration of another server as options of `carboy run`.

sources (python_file, command_line, uwsgi_file, whole_file) ──▶ Given: one setting with its value
tables (gunicorn_table, uvicorn_table, uwsgi_table, …) ──▶ Rule: what happens to it
migration: applies the rules ──▶ output: the command, the table [tool.carboy] and the findings
"""
