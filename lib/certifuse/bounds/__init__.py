"""Generalisation certificates: quantisation, entropy coding, the bit ledger and the inequalities.

`inequalities` lists every bound that a claim admits; each family has a module of its own beside it.
"""
