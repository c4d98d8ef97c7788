"""Lets the operator read what went wrong.

An exception that leaves an export ends the instance, and its traceback is spread over lines of the log. One that is
turned into the contract's error is a single line, and the instance, which is dear to make anew, serves on.
"""

from collections.abc import Callable
from functools import wraps

from componentize_py_types import Err

LONGEST_MESSAGE = 200
"""In characters: messages quote the values that they are about."""


def reported[**P, T](export: Callable[P, T]) -> Callable[P, T]:
    """Turns any exception of an export into the contract's error; an `Err`, which is one already, stays as it is."""

    @wraps(export)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return export(*args, **kwargs)
        except Err:
            raise
        except Exception as error:
            raise Err(sentence(error)) from error

    return reporting


def sentence(error: Exception) -> str:
    """Says where and what: `routing.py, line 42: KeyError: 'phi2'`."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = ""
    if trace:
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}, line {trace.tb_lineno}: "
    return f"{place}{type(error).__name__}: {str(error)[:LONGEST_MESSAGE]}"
