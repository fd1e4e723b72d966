"""Delivery: carries decided state to any destination exactly once.

Read in the order of a run: ``plan`` (what differs), ``guards`` and ``release`` (may it go), ``journal`` (what is being
tried), ``send`` under ``pacer`` and ``lease``, ``fold`` (what ended), ``rejected`` (what was refused). ``run`` is that
order in code; ``destination`` is what a vendor has to implement.
"""
