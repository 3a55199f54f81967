"""The fold by person, however many partitions its topic has and whenever what is sent on arrives: who is told of what."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.journeys import JourneysFold
from tests.people_line import PeopleLine
from tests.person_strategies import FEW, RULES, Town, tell, towns

FOLD = JourneysFold(RULES, tell)
TABLES = ("signals", "outcomes", "identities")
NUMBERS = st.integers(0, 2**32)


def whole(town: Town) -> PeopleLine:
    """One partition, one step."""
    return PeopleLine(FOLD).take(*town.rows).settle()


def piecewise(town: Town, n_partitions: int, rng: Random, *, breaks=False, again=False) -> PeopleLine:
    """A step a few rows, over several partitions; what is sent on comes late. `breaks`: partitions are restored in between; `again`: rows come twice."""
    line, rows = PeopleLine(FOLD, n_partitions, rng), list(town.rows)
    while rows:
        n = rng.randint(1, 3)
        line.take(*rows[:n])
        if again and rng.random() < 0.5:
            line.take(*(row for row in rows[:n]))
        if breaks:
            line.again(rng.randrange(n_partitions))
        rows = rows[n:]
    return line.settle()


def differences(line: PeopleLine, other: PeopleLine) -> list[str]:
    return [f"{name}: {line.shows(name)} is not {other.shows(name)}" for name in TABLES if line.shows(name) != other.shows(name)]


@FEW
@given(towns(), st.sampled_from((1, 2, 5)), NUMBERS)
def test_partitions_batches_and_delays_change_nothing(town: Town, n_partitions: int, seed: int):
    assert not differences(piecewise(town, n_partitions, Random(seed)), whole(town))


@FEW
@given(towns(), NUMBERS)
def test_the_order_of_arrival_changes_nothing(town: Town, seed: int):
    shuffled = list(town.rows)
    Random(seed).shuffle(shuffled)

    assert not differences(piecewise(Town(tuple(shuffled)), 3, Random(seed)), whole(town))


@FEW
@given(towns(), NUMBERS)
def test_what_comes_again_changes_nothing_and_a_restored_partition_goes_on(town: Town, seed: int):
    line = piecewise(town, 2, Random(seed), breaks=True, again=True)

    assert not differences(line, whole(town))
    n_tickets = sum(row["family"] == "ticket" for row in town.rows)
    assert line.fates().get("applied", 0) == n_tickets
