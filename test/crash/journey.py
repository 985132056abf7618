"""What became of a load's messages on their way through a home that things were done to."""

import collections

from letterlock import until
from load import ACCEPTED, REFUSED, is_whole

# A message that arrived this long before a kill may have been noted only after it; one that was under way
# at a kill may take this long to arrive.
REPLY_LOST_WITHIN = 5.0
UNDER_WAY = 3.0


def settle(home):
    """Lets go what was put on hold (a message in the hands of a role that died twice)."""
    def empty():
        try:
            home.run("queue", "release", "--all")
            home.run("queue", "retry", "--all")
            return not home.queue()
        except Exception:
            return False

    until(empty, "the queue is empty", timeout=180, pause=0.3)


def judge(load, hop, kills=None, doubts=False):
    """Nothing acknowledged is lost, nothing came half, and nothing twice without a reason: a kill, as
    (time, victim), in whose hands a reply was lost. `doubts`: what was refused may have arrived (W5:
    nobody knew), and anything may have come twice. Returns how many were accepted, how many came twice."""
    arrived = collections.defaultdict(list)
    for message in list(hop.messages):
        assert is_whole(message.data), f"half a message: {message.queue_marks}"
        (mark,) = message.queue_marks
        arrived[mark].append(message.at)
    accepted = {mark for mark, outcome in load.outcomes.items() if outcome == ACCEPTED}
    refused = {mark for mark, outcome in load.outcomes.items() if outcome == REFUSED}
    assert accepted - set(arrived) == set(), "acknowledged and lost"
    if not doubts:
        assert refused & set(arrived) == set(), "refused and delivered all the same"
        for mark, times in arrived.items():
            check_repeats(mark, times, kills or [])
    return len(accepted), sum(len(times) - 1 for times in arrived.values())


def check_repeats(mark, times, kills):
    for first, second in zip(times, times[1:]):
        reasons = [victim for at, victim in kills if victim in ("relay", "store", "serve", "all")
                   and first - UNDER_WAY <= at <= second and at - first <= REPLY_LOST_WITHIN]
        assert reasons, f"{mark} came twice, at {first:.2f} and {second:.2f}, kills: {kills}"
