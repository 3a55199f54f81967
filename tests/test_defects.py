import asyncio
import json
import subprocess
import sys

import pytest

from agents.defects import EXIT_DEFECT, or_end

BEGIN = """
import asyncio, atexit, os, sys, threading
from agents.defects import end_process, or_end
atexit.register(print, "a clean end")
"""


def ended(program: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run this in a process of its own, to its end."""
    return subprocess.run(
        [sys.executable, "-c", BEGIN + program], check=False, capture_output=True, text=True, timeout=60, **options
    )


def test_a_defect_ends_the_process_at_once_and_shows_itself():
    done = ended("""
print("before", end="")
try:
    try:
        raise KeyError("what broke")
    except KeyError as error:
        end_process(error)
finally:
    print("a clean end")
""")
    assert done.returncode == EXIT_DEFECT
    assert done.stdout == "before"
    assert "KeyError: 'what broke'" in done.stderr
    assert "Traceback" in done.stderr


def test_a_defect_in_another_thread_ends_the_process_as_well():
    done = ended("""
threading.Thread(target=lambda: end_process(ValueError("in a thread"))).start()
threading.Event().wait(30)
""")
    assert done.returncode == EXIT_DEFECT
    assert "in a thread" in done.stderr


@pytest.mark.parametrize(
    "breaks", ["os.close(2)", "os.close(1)", "sys.stdout = None", "sys.__stderr__ = None", "sys.stdout.close()"]
)
def test_it_ends_even_if_nobody_can_be_told(breaks):
    assert ended(f'print("x"); {breaks}; end_process(ValueError("untold"))').returncode == EXIT_DEFECT


def test_a_log_for_programs_gets_the_defect_as_one_of_its_lines():
    done = ended("""
from agents import logs
logs.begin(fmt="json")
error = ValueError("what broke")
error.add_note("over this batch")
end_process(error)
""")
    assert done.returncode == EXIT_DEFECT
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (line["level"], line["message"]) == ("CRITICAL", "a defect ends the process: what broke")
    assert "over this batch" in line["traceback"]


def test_work_that_fails_ends_the_process_whatever_it_raises():
    """A panic of a native library is no Exception."""
    done = ended("""
class Panic(BaseException):
    pass

async def work():
    raise Panic("native")

async def main():
    await or_end(work())

asyncio.run(main())
""")
    assert done.returncode == EXIT_DEFECT
    assert "Panic: native" in done.stderr
    assert "a clean end" not in done.stdout


def test_work_that_succeeds_gives_its_result():
    async def work() -> int:
        return 7

    assert asyncio.run(or_end(work())) == 7


def test_work_that_is_cancelled_is_no_defect():
    async def scenario() -> bool:
        working = asyncio.create_task(or_end(asyncio.sleep(30)))
        await asyncio.sleep(0)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        return working.cancelled()

    assert asyncio.run(scenario())
