"""docs/results/sublora_small/README.md."""

import math
from pathlib import Path
from typing import Any

import pytest

from certifuse.evaluation.bounds.rounding import lower, upper

METRICS, LEDGERS = "sublora.csv", "sublora_ledgers.csv"
TERMS, HYPOTHESES = "tables/sublora/terms.csv", "tables/sublora/hypotheses.csv"
OURS, PUBLISHED = "bound_best_bpd", "bound_published_bpd"
ELSEWHERE = [
    *("in 53 minutes on two CPU cores", "quantised to L = 3 levels", "600 steps see 1.2 million bytes of 98 million"),
    *("every certificate by itself. Losses are bits per byte: a uniform guess pays 8", "are below 8 bits a byte"),
    *("d = 250", "d = 500", "d = 1,000", "d = 2,000", "d = 4,000", "seed 42", "seed 123", "fixed 0.2", "fixed 0.8"),
    *("GPT-2", "of the guide's 30", "(3 seeds; Holm"),
]
"""What Snakemake said at the end, names, constants, and the size of the training text."""


@pytest.fixture(scope="module")
def page(page_of: Any) -> Any:
    return page_of("sublora_small")


@pytest.fixture(scope="module")
def networks(page: Any) -> Any:
    return page.rows(METRICS, model="sublora").astype({"d": int, "seed": int})


@pytest.fixture(scope="module")
def best(networks: Any) -> Any:
    """The network with the lowest bound of ours."""
    return networks.loc[networks[OURS].idxmin()]


def line(name: str, rows: Any) -> str:
    """One row of the table of bounds: means over seeds."""
    bits, risk, *losses = rows[["code_bits", "risk_bpd", PUBLISHED, OURS]].mean()
    return f"| {name} | {bits:,.0f} | {risk:.2f} | {' | '.join(upper(loss, 2) for loss in losses)} |"


def bounds(page: Any, networks: Any) -> list[str]:
    """The table of bounds."""
    uniform = dict(iter(networks[networks["mode"] == "uniform"].groupby("d")))
    counts = {d: f" (mean of {len(rows)})" if len(rows) > 1 else "" for d, rows in uniform.items()}
    lora = networks[networks["mode"] == "lora_only"]
    return [
        *(line(f"uniform, d = {d:,}{counts[d]}", rows) for d, rows in uniform.items()),
        line(f"LoRA only, all {lora['d'].iloc[0]:,} weights", lora),
        line("subspace only (no LoRA), d = 1,000", networks[networks["mode"] == "subspace_only"]),
        *(line(f"coded {name} table", page.rows(METRICS, mode=name)) for name in ("unigram", "bigram")),
        f"{len(networks)} of {len(networks)} networks are below",
        f"from {upper(networks[PUBLISHED].min(), 2)} by the published formula "
        f"and from {upper(networks[OURS].min(), 2)} by ours",
    ]


def setting(page: Any, networks: Any) -> list[str]:
    """Of what the study consists."""
    first, config = networks.iloc[0], page.config["sublora"]
    training, jobs = config["training"], page.json("manifest.json")["training_jobs"]
    minutes = sum(rule["wall_s"] for rule in jobs.values()) / 60
    return [
        f"the {first['documents']:,} training reviews",
        f"({minutes:.0f} minutes of jobs, each on one core)",
        f"of {config['model']['layers']} layers, {config['model']['width']} wide",
        f"for {training['steps']} steps of {training['batch_size']} x {config['model']['context']} bytes",
        f"{len(networks)} models and {len(page.rows(METRICS, model='ngram'))} coded n-gram tables",
        f"Of each bitstream {first['subsample']} training documents",
        f"delta is {first['delta']:g}",
        f"after {training['quantised_steps']} steps of training with the rounding",
    ]


def findings(page: Any, networks: Any, best: Any) -> list[str]:
    """The numbered list."""
    unigram, bigram = (page.row(METRICS, mode=name) for name in ("unigram", "bigram"))
    shrank = networks[PUBLISHED] - networks[OURS]
    terms = page.table(TERMS).groupby("term")[["published_bpd", "ours_bpd"]].mean()
    moved = {name: f"from {row.published_bpd:.2f} to {row.ours_bpd:.2f}" for name, row in terms.iterrows()}
    deviation = networks["deviation_bpd"]
    charges = page.rows(LEDGERS, d=best["d"], mode=best["mode"], seed=best["seed"]).set_index("charge")["bits"]
    uniform = networks[(networks["mode"] == "uniform") & (networks["d"] == 1000)]
    rounding = uniform["validation_bpd"] - uniform["validation_bpd_unquantised"]
    return [
        f"The coded bigram table is certified at {upper(bigram[OURS], 2)} bits a byte",
        f"uniform at d = {best['d']:,} (seed {best['seed']}), at {upper(best[OURS], 2)}",
        f"As the best of {len(networks)} it would have to hold at delta / {len(networks)} in both steps",
        f"more than the {math.log2(len(networks)):.1f} bits of the choice",
        f"{(networks[OURS] < unigram[OURS]).sum()} of {len(networks)} networks are below the unigram table "
        f"({upper(unigram[OURS], 2)})",
        f"({upper(networks[PUBLISHED].min(), 2)} against {upper(unigram[PUBLISHED], 2)})",
        f"shrink by {shrank.mean():.2f} bits a byte on the same bitstreams** "
        f"({shrank.min():.2f} to {shrank.max():.2f})",
        f"mean over all {len(networks)}. By term",
        f"complexity {moved['complexity']}, subsampling {moved['subsampling']}, and the risk itself {moved['risk']}",
        f"deviates by {deviation.min():.2f} to {deviation.max():.2f} bits",
        f"Of the {charges.sum():,.0f} bits of the best network, {charges['symbols']:,.0f} are",
        f"take the other {charges.sum() - charges['symbols']:.0f}",
        f"costs {rounding.min():.2f} to {rounding.max():.2f} bits a byte at d = 1,000",
        f"certified at {upper(networks['top1_bound'].min(), 0, 100)} %** for the best network, "
        f"from {100 * networks.loc[networks['top1_bound'].idxmin(), 'top1_risk']:.0f} % measured",
    ]


def sharing(page: Any) -> list[str]:
    """What is said of the allocations."""

    def test(what: str, budget: int) -> Any:
        return page.row(HYPOTHESES, test=what, budget=budget)

    def between(what: str, budget: int) -> str:
        """The interval, rounded outwards."""
        row = test(what, budget)
        return f"between {lower(row['low'], 2)} and {upper(row['high'], 2)}"

    def cost(mode: str) -> tuple[float, float]:
        return tuple(test(f"{mode} minus uniform", d)["estimate"] for d in (1000, 2000))

    fixed_a, fixed_b, learned = cost("fixed 0.2"), cost("fixed 0.8"), cost("learned")
    undecided = {f"{test('learned minus uniform', d)['p_holm']:.3f}" for d in (1000, 2000)}
    head = test("gamma minus 1/2, head", 1000)
    permuted, drawn = (test(f"learned minus {null}", 1000) for null in ("learned splits permuted", "random gates"))
    gates = page.rows("sublora_gates.csv", d=1000, mode="learned", group="head")
    return [
        f"costs {fixed_a[0]:.2f} bits a byte at d = 1,000 and {fixed_a[1]:.2f} at d = 2,000",
        f"(the latter {between('fixed 0.2 minus uniform', 2000)}, "
        f"p = {test('fixed 0.2 minus uniform', 2000)['p_holm']:.3f}; "
        f"the former {between('fixed 0.2 minus uniform', 1000)}, undecided)",
        f"(fixed 0.8) costs {fixed_b[0]:.2f} and {fixed_b[1]:.2f} (decided at d = 2,000: "
        f"{between('fixed 0.8 minus uniform', 2000)}, p = {test('fixed 0.8 minus uniform', 2000)['p_holm']:.3f})",
        f"by {learned[0]:.2f} at d = 1,000 and {learned[1]:.2f} at d = 2,000 (p = {'; '.join(undecided)} in both",
        f"{gates['budget'].iloc[0]} of 1,000 directions",
        f"(gamma {0.5 + head['estimate']:.2f} at d = 1,000, p = {head['p_holm']:.3f} with three seeds)",
        f"(difference {permuted['estimate']:.2f}, {between('learned minus learned splits permuted', 1000)}, "
        f"p = {permuted['p_holm']:.3f})",
        f"({drawn['estimate']:.2f}, {between('learned minus random gates', 1000)}, p = {drawn['p_holm']:.3f})",
    ]


def test_every_number_of_the_page_is_in_its_tables(page: Any, check_page: Any, networks: Any, best: Any) -> None:
    claims = [
        *bounds(page, networks),
        *setting(page, networks),
        *findings(page, networks, best),
        *sharing(page),
    ]
    check_page(page.text, claims, ELSEWHERE)


def test_what_the_readme_quotes(page: Any, networks: Any) -> None:
    readme = " ".join((Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8").split())
    bigram, m = page.row(METRICS, mode="bigram"), networks["documents"].iloc[0]
    ours, published = (upper(networks[column].min(), 2) for column in (OURS, PUBLISHED))
    assert (
        f"On {m:,} film reviews every one of {len(networks)} small networks has a bound below a uniform guess of "
        f"{bigram['vacuous_bpd']:.0f} bits a byte, the best {ours} "
        f"({published} by the published formula, which is for comparison only); a coded table of byte pairs has "
        f"{upper(bigram[OURS], 2)}"
    ) in readme


def test_what_the_page_says_in_words(page: Any, networks: Any) -> None:
    unigram = page.row(METRICS, mode="unigram")
    assert networks[[OURS, PUBLISHED]].to_numpy().max() < unigram["vacuous_bpd"]
    assert networks[PUBLISHED].min() > unigram[PUBLISHED], "by the published form none passes below the unigram table"
    below = networks[networks[OURS] < unigram[OURS]]
    assert below["d"].min() == 1000
    assert "fixed_0.2" not in set(below["mode"])
    means = networks[networks["mode"] == "uniform"].groupby("d")[[OURS, PUBLISHED]].mean()
    assert means.idxmin().to_dict() == {OURS: 2000, PUBLISHED: 1000}
    assert len(page.table("missing_sublora.csv")) == 0
