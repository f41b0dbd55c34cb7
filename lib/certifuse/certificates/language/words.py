"""The words of the certificate of a language model: what is claimed, of which sample, and what is taken on trust."""

from certifuse.study.settings.sublora import SubloraBounds

STATEMENT = (
    "With probability 1 - delta over {chance}, the model that the bitstream decodes to, its predictions mixed with the "
    "share `claim.alpha` of the uniform distribution, has an expected loss of at most `claim.bound_bpd` bits per token "
    "on a new document, although it was trained on those documents. The terms of the claim, its smoothings among them, "
    "were listed in the settings of the study; their SHA-256 is {terms}."
)
SAMPLE = (
    "the training documents, taken for independent draws from one source; exact repeats were dropped. {scored} The "
    "inequality of `claim` was named before; its smoothing was chosen among those listed, {paid}. Each other "
    "inequality{but}, each top-k bound and `token_claim` holds at confidence 1 - delta by itself. Whoever quotes this "
    "certificate as the best of M has the bound of `best_of`, at delta / M{both}."
)
DRAWN = (
    "Documents were drawn among them with replacement when the bitstream had been written, by a seed that follows from "
    "the digests of bitstream, documents and terms; that no other bitstreams or terms were tried for the sake of their "
    "draw is taken on trust."
)
ALL = "All of them were scored."
PUBLISHED = (
    ", but not `published`, which is shown for comparison: its smoothing is not paid for in the step from the draw, "
    "and `hoeffding` is the same formula with that paid"
)


def statement(terms: SubloraBounds) -> str:
    """What is claimed, with the digest of the terms."""
    chance = "the training documents" if terms.whole else "the training documents and the draw among them"
    return STATEMENT.format(chance=chance, terms=terms.sha256)


def sample_words(terms: SubloraBounds) -> str:
    """What the sample is, and what is paid for where."""
    if terms.whole:
        return SAMPLE.format(scored=ALL, paid="which the ledger pays for", but="", both="")
    paid = "which the ledger pays for in the step to new documents and a share of delta in the step from the draw"
    return SAMPLE.format(scored=DRAWN, paid=paid, but=PUBLISHED, both=" in both steps")


def on_trust(terms: SubloraBounds) -> tuple[str, ...]:
    """What no verification can see, and a reader of a verified certificate takes on trust."""
    trusted = (
        "that the documents are independent draws from one source (copies with changes count as documents)",
        f"that the terms with SHA-256 {terms.sha256} were fixed before",
    )
    if terms.whole:
        return trusted
    return (*trusted, "that no other bitstreams or terms were tried for the sake of their draw")
