"""The command `ebbtide` with a defect planted in the sessions fold: a page /boom makes it raise, once the visitor has been somewhere else.

So it needs the state as well as the batch. python -m tests.defective_ebbtide worker|replay ...
"""

from agents.cli import main
from pipeline.sessions import SessionsFold

plain = SessionsFold.step


def step(self, state, batch, watermarks):
    """Fail over what an honest defect might: the batch together with what is remembered."""
    if (batch["page"] == "/boom").any() and state.n_open:
        raise ZeroDivisionError("a planted defect")
    return plain(self, state, batch, watermarks)


if __name__ == "__main__":
    SessionsFold.step = step
    main()
