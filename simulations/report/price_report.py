"""Writes docs/price-report.md and its plots from a study; every number and verdict is computed."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from simulations.models.market.clearing import MINUTE_S
from simulations.plots import draw_one
from simulations.report.price_study import (
    SCENES,
    SHOCK_AT_S,
    SHOCKED_S,
    STAYING,
    WAR,
    WASH,
    Manipulation,
    Shock,
    Study,
)
from simulations.sweep.statistics import Estimate

FILE: Final = "price-report.md"
CAPACITY_WELFARE: Final = 0.8
"""Below this share of the optimum a scene counts as one in which the market fails."""
GAIN, MOVED, CHEAP = 0.01, 0.02, 0.05
"""What counts as a gain, as a move of the price, and as cheap: shares of profit and price."""
_FIGURES: Final = {
    "settles_min": "settles, min",
    "overshoot": "overshoot",
    "oscillation": "oscillation",
    "busy_swing": "swing of load",
    "welfare": "welfare / optimum",
    "level": "level",
    "refused": "asked a full one",
}
_SHARES: Final = {"overshoot", "oscillation", "busy_swing", "welfare", "refused"}

HEAD: Final = f"""\
# What the price rule does under stress

Written by `cocoon sim report price`; do not edit. The model is `simulations/models/market` (what
it leaves out is in [models-of-the-swarm.md](models-of-the-swarm.md)), its price rule is bit for
bit that of `cocoon/market/price.py` with the default terms: zone 40 to 60 %, elasticity 5 %, at
most 2 % in a window of 60 s, floor 0.5, cap 4. Two slots a provider, jobs of 60 s on average,
costs that differ by 25 %, a base price of twice the cost, values of 4 median costs (log-normal,
0.6), and requesters that want 70 % of the capacity before they see a price. Shocks come after
{SHOCK_AT_S // 60} minutes of {SHOCKED_S // 60}. Intervals are 95 % over seeds; one seed has none.

Words: *settles*: minutes from the shock (else from the start) until the price (mean of 5 minutes)
stays within 5 % of where it ends. *Overshoot*: highest price over where it ends. *Oscillation*
and *swing of load*: standard deviation over mean in the last half hour, of the price, and of the
busy share minute by minute. *Welfare*: value less cost of what was sold, over the most that a
planner who knows all values could have got from the same minute (last half hour).
"""


def _number(name: str, one: Estimate) -> str:
    scale, unit = (100, " %") if name in _SHARES else (1, "")
    digits = 0 if name == "settles_min" else 2 if name == "level" else 1
    text = f"{one.mean * scale:.{digits}f}"
    if one.runs > 1:
        text += f" ± {one.half_width * scale:.{digits}f}"
    return text + unit


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def shock_tables(study: Study) -> str:
    """Return one table for each scene."""
    parts = []
    for scene in SCENES:
        rows = [
            [f"{one.providers:,}", *(_number(name, one.figures[name]) for name in _FIGURES)]
            for one in study.shocks
            if one.scene == scene
        ]
        parts.append(f"### {scene[0].upper()}{scene[1:]}\n")
        parts.append(_table(["providers", *_FIGURES.values()], rows))
    return "\n".join(parts)


def _signed(one: Estimate) -> str:
    width = f" ± {one.half_width * 100:.0f}" if one.runs > 1 else ""
    return f"{one.mean * 100:+.0f}{width} %"


def manipulation_table(rows: Sequence[Manipulation]) -> str:
    """Return what each strategy gains at each size."""
    return _table(
        ["providers", "in one hand", "strategy", "its profit", "price paid", "buyers' gain"],
        [
            [
                f"{one.providers:,}",
                f"{one.members:,}",
                one.strategy,
                _signed(one.gain),
                _signed(one.price),
                _signed(one.buyers),
            ]
            for one in rows
        ],
    )


def pays(one: Manipulation) -> bool:
    """Tell whether a gain is there beyond the interval (one seed proves none)."""
    return one.gain.runs > 1 and one.gain.mean - one.gain.half_width > GAIN


def moves(one: Manipulation) -> bool:
    """Tell whether it makes the price rise, at a cost to its owner that may be small."""
    if one.gain.runs < 2:
        return False
    dearer = one.price.mean - one.price.half_width > MOVED
    return dearer and one.gain.mean + one.gain.half_width > -CHEAP


def manipulates(one: Manipulation) -> bool:
    """Tell whether a strategy is a manipulation worth the name."""
    return pays(one) or moves(one)


def manipulable(rows: Sequence[Manipulation]) -> list[int]:
    """Return the sizes at which some strategy manipulates."""
    return sorted({row.providers for row in rows if manipulates(row)})


def dearest(rows: Sequence[Manipulation], providers: int) -> Manipulation:
    """Return what moves the price most among the strategies that manipulate at one size.

    When none does: what costs its owner least among those that make the price rise.
    """
    here = [row for row in rows if row.providers == providers]
    able = [row for row in here if manipulates(row)]
    if able:
        return max(able, key=lambda one: one.price.mean)
    dearer = [row for row in here if row.price.mean > 0] or here
    return max(dearer, key=lambda one: one.gain.mean)


def sizes_of(rows: Sequence[Manipulation]) -> list[int]:
    """Return the sizes that were tried."""
    return sorted({row.providers for row in rows})


def best(rows: Sequence[Manipulation], providers: int) -> Manipulation:
    """Return the strategy that gains most at one size."""
    return max((r for r in rows if r.providers == providers), key=lambda one: one.gain.mean)


# --- what follows ---------------------------------------------------------------------------


def conclusions(study: Study) -> str:
    """Return what the numbers say, sentence by sentence."""
    found = [
        _on_stability(study),
        _on_speed(study),
        _on_size(study),
        _on_share(study),
        _on_profit(study),
        _on_wash(study),
        *_on_failures(study),
        _on_widening(study),
    ]
    return "\n".join(f"{place}. {text}" for place, text in enumerate(found, start=1)) + "\n"


def _worst(shocks: Sequence[Shock], name: str) -> Shock:
    return max(shocks, key=lambda one: one.figures[name].mean)


def _at(study: Study, scene: str) -> list[Shock]:
    return [one for one in study.shocks if one.scene == scene]


def _on_stability(study: Study) -> str:
    ordinary = [one for one in study.shocks if "herd" not in one.scene]
    swing, over = _worst(ordinary, "oscillation"), _worst(ordinary, "overshoot")
    share = swing.figures["oscillation"].mean
    verdict = "**The price does not oscillate**" if share < 0.05 else "**The price oscillates**"
    return (
        f"{verdict}: at worst {share:.1%} around its mean ({swing.scene}, {swing.providers:,} "
        f"providers), and it overshoots by at most {over.figures['overshoot'].mean:.1%}. The dead "
        "zone and the short step see to that."
    )


def _on_speed(study: Study) -> str:
    slow = [one.figures["settles_min"].mean for one in _at(study, "demand x10")]
    return (
        f"**It is slow.** After demand x10 it needs {min(slow):.0f} to {max(slow):.0f} minutes: a "
        "step is at most 2 % a minute, so doubling takes 35. Until then the cheap are full and "
        "requesters are turned away. That is the price of the line above; `elasticity_ppm` and "
        "`step_max_ppm` move the balance, for each operator."
    )


def _listed(one: Manipulation) -> str:
    return (
        f"{one.members:,} of {one.providers:,} {_signed(one.gain)} with {_signed(one.price)} on "
        f"the price ({one.strategy})"
    )


def _on_size(study: Study) -> str:
    """Say from which size on one provider (or one in a hundred) manipulates nothing."""
    sizes, open_to = sizes_of(study.small), manipulable(study.small)
    closed = [size for size in sizes if size > max(open_to, default=0)]
    if not closed:
        verdict = f"**One hand can manipulate it at every size tried**, up to {sizes[-1]:,}."
    elif not open_to:
        verdict = f"**One provider manipulates it at no size tried**, from {sizes[0]:,} on."
    else:
        verdict = (
            f"**From {closed[0]:,} providers on one provider (of 100 or more: one in a hundred) "
            f"cannot manipulate it**; with {', '.join(f'{size:,}' for size in open_to)} it can."
        )
    tops = "; ".join(_listed(dearest(study.small, size)) for size in sizes)
    return (
        f"{verdict} Manipulable means here: some strategy certainly gains its owner more than "
        f"{GAIN:.0%}, or certainly moves the price by more than {MOVED:.0%} and may cost its owner "
        f"less than {CHEAP:.0%} of profit. Best tries to move it: {tops}."
    )


def _on_share(study: Study) -> str:
    """Say which share in one hand manipulates, whatever the size."""
    sizes = manipulable(study.cartel)
    if not sizes:
        head = "**Three in ten in one hand do not manipulate it either**, at any size."
    else:
        head = (
            "**What counts is the share in one hand, not the number of providers.** Three in ten "
            f"do manipulate it, at {', '.join(f'{size:,}' for size in sizes)} providers: "
            + "; ".join(_listed(dearest(study.cartel, size)) for size in sizes)
            + ". They leave the others to ration. No rule that rests on one's own load can prevent "
            "that; buyers' ceilings, and anybody's freedom to offer more slots, bound it."
        )
    able = sorted({one.members / one.providers for one in study.shares if manipulates(one)})
    unable = sorted({one.members / one.providers for one in study.shares} - set(able))
    said = [
        f"{' and '.join(f'{share:.0%}' for share in shares)} {can}"
        for shares, can in ((unable, "cannot"), (able, "can"))
        if shares
    ]
    where = study.shares[0].providers
    return f"{head} Of {where:,} providers, in one hand: {', '.join(said)}."


def _on_profit(study: Study) -> str:
    """Say whether lying about the load pays."""
    tried = [*study.small, *study.cartel, *study.shares]
    paying = [one for one in tried if pays(one)]
    if paying:
        return f"**Lying about the load pays**: {'; '.join(map(_listed, paying))}."
    tops = [best(study.cartel, size) for size in sizes_of(study.cartel)]
    return (
        "**No lie about the load was found to pay**, for one provider or for a cartel: whoever "
        "holds its price up is passed over, and who undercuts earns less a job. Best tries of "
        f"three in ten: {'; '.join(map(_listed, tops))}."
    )


def _on_wash(study: Study) -> str:
    washed = [one for one in [*study.small, *study.cartel] if one.strategy == WASH]
    wars = [one for one in [*study.small, *study.cartel] if one.strategy == WAR]
    war = max(wars, key=lambda one: one.gain.mean)
    top = max(washed, key=lambda one: one.gain.mean)
    verdict = "**Wash trades pay**" if pays(top) else "**Wash trades lose money**"
    hurt = min(washed, key=lambda one: one.buyers.mean)
    return (
        f"{verdict}: at best {_signed(top.gain)} of profit. They do harm: "
        f"{hurt.members:,} of {hurt.providers:,} that wash cost buyers {_signed(hurt.buyers)}. "
        f"Buying up others' slots to sell one's own dearer loses, too: at best {_signed(war.gain)}."
    )


def _on_failures(study: Study) -> list[str]:
    found = []
    for scene in SCENES:
        failing = [
            one
            for one in _at(study, scene)
            if one.figures["welfare"].mean < CAPACITY_WELFARE and scene != STAYING
        ]
        if failing:
            listed = ", ".join(
                f"{one.figures['welfare'].mean:.0%} at {one.providers:,}" for one in failing
            )
            found.append(
                f"**The market fails under “{scene}”**: welfare is {listed} providers. "
                + _WHY.get(scene, "")
            )
    return found


_WHY: Final = {
    "all buyers a herd": (
        "Requesters that ask only the cheapest in sight meet each other there. The draw among the "
        "near-best and the four requests of `cocoon.market.match` are what keeps the market alive; "
        "they must stay the default."
    ),
    "30 % wash traders": "Washed slots are gone, and the level of the washers keeps others' up.",
}


def _on_widening(study: Study) -> str:
    narrow = {one.providers: one.figures["welfare"].mean for one in _at(study, STAYING)}
    listed = "; ".join(
        f"{one.providers:,}: {one.figures['welfare'].mean:.0%} instead of "
        f"{narrow[one.providers]:.0%}"
        for one in _at(study, "demand x10")
        if one.providers in narrow
    )
    return (
        "**Who was refused must look further** ([adr/0013](../adr/0013-wider-after-busy.md), in "
        "`cocoon.market.match` and here): a requester that was refused as busy draws whom it asks "
        "next from *all* providers with a free slot at a price that it accepts. If it stayed with "
        "the near-best, everybody would ask the few that are cheapest and were free a second ago, "
        "find them taken, and come again, while dearer ones stay idle. With demand x10, welfare "
        f"is, by providers, {listed}."
    )


# --- plots ----------------------------------------------------------------------------------


def plots(study: Study, folder: Path) -> list[Path]:
    """Draw the price over time for each scene, the load under x10, and the gains."""
    made: list[Path] = []
    for scene in SCENES:
        name = "price-" + "-".join(scene.replace("%", "percent").replace(",", "").split())

        def lines(axes: Any, _: object, scene: str = scene) -> None:  # noqa: ANN401
            for one in _at(study, scene):
                minutes = [place * MINUTE_S / 60 for place in range(one.price.size)]
                axes.plot(minutes, one.price / one.price[-30:].mean(), label=f"{one.providers:,}")
            axes.set(xlabel="minutes", ylabel="price / where it ends", title=scene)
            axes.legend(title="providers")

        made += draw_one(folder, name, lines, [])

    def load(axes: Any, _: object) -> None:  # noqa: ANN401
        for scene, style in (("demand x10", "-"), (STAYING, "--")):
            last = _at(study, scene)[-1]
            axes.plot(last.busy, style, label=f"{scene}, {last.providers:,}")
        axes.set(xlabel="minutes", ylabel="busy share of slots", title="Load under demand x10")
        axes.legend()

    def gains(axes: Any, _: object) -> None:  # noqa: ANN401
        for size in study.sizes:
            rows = [r for r in study.cartel if r.providers == size and r.level]
            axes.plot([r.level for r in rows], [r.gain.mean * 100 for r in rows], "o-", label=size)
        axes.axhline(0, color="0.5")
        axes.set(
            xlabel="level held, as a share of the honest one",
            ylabel="gain, % of profit",
            title="A cartel of three in ten",
        )
        axes.legend(title="providers")

    made += draw_one(folder, "price-load", load, [])
    return made + draw_one(folder, "price-cartel", gains, [])


def write(study: Study, folder: Path) -> list[Path]:
    """Write the report and its plots into *folder*; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = plots(study, folder)
    images = "\n".join(
        f"![{path.stem}]({path.relative_to(folder).as_posix()})"
        for path in drawn
        if path.suffix == ".svg"
    )
    text = "\n".join(
        [
            HEAD,
            "## Conclusions\n",
            conclusions(study),
            "## Shocks\n",
            shock_tables(study),
            "## Manipulation\n",
            "A manipulator says it is busier or idler than it is until its level is where it "
            "wants it (load is a provider's own word), or really fills its slots with jobs to "
            "itself, or buys slots of others to make them scarce. Profits (less what it paid "
            "others) are of the second half, against the same members being honest in the same "
            "runs. A provider's base price is its own affair and no manipulation.\n",
            "### One provider, or one in a hundred\n",
            manipulation_table(study.small),
            "### A cartel of three in ten\n",
            manipulation_table(study.cartel),
            "### Other shares in one hand\n",
            manipulation_table(study.shares),
            "## Plots\n",
            images,
        ]
    )
    path = folder / FILE
    path.write_text(text + "\n", encoding="utf-8")
    return [path, *drawn]
