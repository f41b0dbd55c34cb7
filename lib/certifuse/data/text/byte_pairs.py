"""GPT-2's byte pairs from its two published files.

Both files write a byte as one printable character: 188 bytes stand for themselves, the others, in ascending order, for
the characters from 256 on (a space is `Ġ`). `vocab.bpe` lists the merges in the order of their priority, which is the
order of the token numbers after the 256 single bytes; `encoder.json` maps every token to its number.

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", and the code released with it.
"""

import json

PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Pieces of text that no merge crosses, as released with GPT-2."""

END_OF_TEXT = "<|endoftext|>"


def byte_symbols() -> dict[str, int]:
    """The byte of each character, in the order of the token numbers 0..255."""
    themselves = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in themselves]
    return {chr(byte): byte for byte in themselves} | {chr(256 + index): byte for index, byte in enumerate(others)}


def merge_ranks(vocab_bpe: str, encoder_json: str) -> dict[bytes, int]:
    """The number of every token except the special ones, which is also the priority of its merge.

    Raises:
        ValueError: the two texts disagree.
    """
    byte_of = byte_symbols()
    merged = [line.replace(" ", "") for line in vocab_bpe.splitlines()[1:] if line]
    ranks = {symbols: rank for rank, symbols in enumerate([*byte_of, *merged])}
    numbers = {symbols: number for symbols, number in json.loads(encoder_json).items() if symbols != END_OF_TEXT}
    if ranks != numbers:
        raise ValueError("vocab.bpe and encoder.json: expected the same tokens in the same order")
    return {bytes(byte_of[symbol] for symbol in symbols): rank for symbols, rank in ranks.items()}
