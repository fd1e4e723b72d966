"""Pipedrive persons found by phone, where the activation says so and neither our id nor an e-mail leads to one.

The mirror holds every phone of a person, read by the same function as ours. Nobody is guessed: a person that carries
another profile's e-mail or id, or that two profiles' numbers lead to, is nobody's; and of several persons with one
number none is taken.
"""

from __future__ import annotations

from cio_activation.warehouse.sessions import Connection


def find(con: Connection, *, asked: bool) -> None:
    """Fill ``pd_by_phone``: who has no better match -> every person with the number, and whether it may be theirs.

    Reads ``pd_open``, ``pd_free`` and ``pd_by_email``. Whose e-mail is on a person of somebody else is a key clash, and
    no phone leads around it.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE pd_by_phone (cio_id VARCHAR, person_id VARCHAR, persons BIGINT, is_free BOOLEAN)"
    )
    if not asked:
        return
    con.execute(
        """INSERT INTO pd_by_phone
        WITH wanted AS (
            SELECT cio_id, phone FROM pd_open
            WHERE phone IS NOT NULL AND cio_id NOT IN (SELECT cio_id FROM pd_by_email)
              AND cio_id NOT IN (SELECT external_id FROM pd_free WHERE external_id IS NOT NULL)
              AND NOT (by_email AND email IN (
                  SELECT unnest(from_json(emails, '["VARCHAR"]')) FROM delivery.pipedrive_persons WHERE NOT is_deleted))
        ),
        numbered AS (
            SELECT *, count(*) OVER (PARTITION BY phone) AS persons
            FROM (SELECT DISTINCT person_id, emails, unnest(from_json(phones, '["VARCHAR"]')) AS phone
                  FROM delivery.pipedrive_persons WHERE NOT is_deleted AND phones IS NOT NULL)
            WHERE phone IN (SELECT phone FROM wanted)
        ),
        others AS (
            SELECT DISTINCT m.person_id, p.cio_id
            FROM (SELECT person_id, unnest(from_json(emails, '["VARCHAR"]')) AS email FROM numbered) AS m
            JOIN identity.persons AS p ON p.email = m.email
        )
        SELECT DISTINCT w.cio_id, n.person_id, n.persons,
               f.person_id IS NOT NULL AND NOT f.owned AND o.person_id IS NULL
        FROM wanted AS w JOIN numbered AS n ON n.phone = w.phone
        LEFT JOIN (SELECT * FROM pd_free WHERE person_id NOT IN (SELECT person_id FROM pd_by_email)) AS f
        ON f.person_id = n.person_id
        LEFT JOIN others AS o ON o.person_id = n.person_id AND o.cio_id <> w.cio_id"""
    )
