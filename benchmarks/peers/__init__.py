"""Pushes of rows to HubSpot as their users set them up; each is a script that ``benchmarks.push`` runs in a venv of its own.

``python -P SCRIPT ROWS.parquet URL FOLDER``, the token in ``HUBSPOT_ACCESS_TOKEN``: every row of the file is upserted by e-mail,
100 a call, which is what HubSpot takes. They share no code with the product, nor with each other.
"""
