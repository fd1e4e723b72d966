"""Chance that is the same on every machine and DuckDB version: numbers drawn from MD5 of what they are for."""

from __future__ import annotations

import duckdb


def create_chance(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Define ``chance(what, key)``: a number in [0, 1) that depends on nothing but its arguments and the seed."""
    text = f"concat_ws('|', {int(seed)}, what, key)"
    con.execute(f"CREATE MACRO chance(what, key) AS md5_number_lower({text}) / 18446744073709551616.0")
