"""Reports of workers that have ended without being asked.

report   what a report has
folder   the files of the reports
writer   a process that writes one, so that the supervisor does not wait for a disk
"""
