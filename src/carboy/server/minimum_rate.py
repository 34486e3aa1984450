"""Whether a client transfers enough bytes: an average rate, limited credit, limited silence.

One rule for request bodies and responses, for the leader, which looks once an interval
(server/deadlines.py), and for threads that receive or send themselves. Knows no clock or socket.
"""

from __future__ import annotations


class MinimumRate:
    """The minimum rate of one body or response, checked from time to time.

    The average has to reach `rate` bytes a second once `grace` seconds have passed. Bytes that come
    early earn extra time, but `silence` seconds at most, so that no client can send a burst and
    then hold the connection for hours. A pause of `silence` seconds is too slow, even within the
    grace. A `rate` of 0 leaves only the limit on silence.
    """

    __slots__ = ("_good_until", "_grace_until", "_heard", "_moved", "_rate", "_silence")

    def __init__(self, start: float, grace: float, rate: int, silence: float) -> None:
        self._grace_until = start + grace
        self._rate = rate
        self._silence = silence
        self._heard = start  # the last check at which bytes had moved
        self._moved = 0
        self._good_until = start  # up to when the bytes so far are enough for the rate

    def is_too_slow(self, now: float, moved: int) -> bool:
        """Whether to give up at `now`, in seconds, with `moved` bytes since the start."""
        more = moved - self._moved
        if more:
            self._moved = moved
            self._heard = now
            if self._rate:
                limit = now + self._silence
                self._good_until = min(self._good_until + more / self._rate, limit)
        if now - self._heard > self._silence:
            return True
        return bool(self._rate) and now > max(self._grace_until, self._good_until)

    def put_off(self, seconds: float) -> None:
        """Leave out `seconds` in which this process was suspended."""
        self._grace_until += seconds
        self._heard += seconds
        self._good_until += seconds
