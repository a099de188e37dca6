"""Your own attacker and your own metric: an attacker changes one method of a node, a metric hears
every event of a run. What there is to hear: `cocoon sim replay FILE.toml --log events.log`."""

from simulations.exact.run import simulate
from simulations.exact.seller import Seller
from simulations.scenario import Scenario, changed


class Dawdler(Seller):
    """Wins jobs with a cheap, honest quote, and then makes a token every ten seconds."""

    def tokens_per_s(self) -> float:
        return 0.1


class WastedTime:
    """Seconds that requesters spent with providers that failed them."""

    name = "wasted_s"

    def __init__(self) -> None:
        self.since_us, self.total_us = {}, 0

    def hear(self, event) -> None:
        if event.kind == "accept":
            self.since_us[event.node] = event.at_us
        elif event.kind == "failed" and event.node in self.since_us:
            self.total_us += event.at_us - self.since_us.pop(event.node)

    def value(self) -> float:
        return self.total_us / 1e6


swarm = changed(Scenario(), **{"population.providers": 4, "population.requesters": 6})
for dawdlers in (0, 1, 2):
    cast = {f"seller-{at}": Dawdler for at in range(dawdlers)}
    found = simulate(swarm, seed=1, cast=cast, metrics=[WastedTime()]).summary
    print(dawdlers, "dawdlers:", found["jobs_done"], "jobs,", found["wasted_s"], "s wasted")
