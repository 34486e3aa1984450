import os

import pytest

from carboy.server.scoreboard import Figure, Scoreboard, private_row


def test_a_figure_written_by_a_child_process_is_read_by_its_parent():
    board = Scoreboard(2)
    row = board.take()
    child = os.fork()
    if child == 0:
        row.cells[Figure.CONNECTIONS] = 12
        os._exit(0)
    os.waitpid(child, 0)
    assert row.cells[Figure.CONNECTIONS] == 12


def test_a_child_process_sees_rows_that_were_taken_after_it_was_forked():
    board = Scoreboard(2)
    board.take().cells[Figure.PID] = 1
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(told, 1)
        os._exit(len(list(board.used())))
    board.take().cells[Figure.PID] = 2
    os.write(tell, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    os.close(told)
    os.close(tell)


def test_a_new_row_is_empty():
    board = Scoreboard(1)
    board.take().cells[Figure.BUSY] = 3
    assert board.take().cells[Figure.BUSY] == 0


def test_a_row_in_use_is_not_given_to_another_worker():
    board = Scoreboard(2)
    first = board.take()
    first.cells[Figure.PID] = 1
    assert board.take() is not first
    assert list(board.used()) == [first]


def test_more_workers_than_rows_are_refused():
    board = Scoreboard(1)
    board.take().cells[Figure.PID] = 1
    with pytest.raises(RuntimeError, match="not supported"):
        board.take()


def test_a_server_without_a_supervisor_has_a_row_of_its_own():
    assert private_row().cells is not private_row().cells
