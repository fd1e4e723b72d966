"""Which Customer.io workspace this home belongs to: its people and segments mean something there only.

The Track API names the workspace of its key. The App API names none, so what comes by its key is compared with the
people who are known: a run needs its segments to be there anyway.
"""

from __future__ import annotations

import hashlib

from cio_activation.activation.models import Lane
from cio_activation.activation.settings import Settings
from cio_activation.customerio.answers import VENDOR
from cio_activation.customerio.client import CustomerIO
from cio_activation.errors import ContractError
from cio_activation.runtime import Runtime
from cio_activation.transport import event_loop
from cio_activation.transport.errors import VendorError
from cio_activation.transport.http import Pacer
from cio_activation.warehouse import accounts, change_log
from cio_activation.warehouse.tables import EXPORTS, FILES, MEMBERSHIPS, PEOPLE, PEOPLE_CURRENT, PEOPLE_LIVE, PUBLISHED

ENOUGH = 20
"""From so many people on it says something that nobody of them is known."""
STRANGERS_SHARE = 0.1
"""Fewer of the people known before than this share: these are other people."""


def require_workspace(runtime: Runtime, pacer: Pacer | None = None) -> None:
    """Raise ConfigError if the Track key is of another workspace than the one this home belongs to.

    One call within ``accounts.MAX_AGE`` at most. Without a Track key, or while the Track API cannot be reached,
    nothing is compared: what is read comes by the App API, see :func:`require_shared`.
    """
    settings = runtime.settings
    if not (settings.customerio_track_site_id and settings.customerio_track_api_key):
        return
    access = access_hash(settings)
    with runtime.warehouse.read() as con:
        if accounts.is_checked(con, VENDOR, access):
            return
    workspace = event_loop.run(_workspace(settings, pacer))
    if workspace is not None:
        with runtime.warehouse.write() as con:
            accounts.meet(con, VENDOR, workspace, access, settings.activation_home)


def require_shared(before: int, now: int, shared: int, what: str) -> None:
    """Raise ContractError if of ``now`` people hardly anybody (``shared``) is among the ``before`` known people.

    A person's ``cio_id`` never changes, and two workspaces share none. Few people say nothing.
    """
    if before < ENOUGH or now < ENOUGH:
        return
    if shared < STRANGERS_SHARE * min(before, now):
        raise ContractError(
            f"{what} names {now:,} people, of whom {shared:,} are among the {before:,} known here: this is another "
            "Customer.io workspace; nothing was published. Set CUSTOMERIO_APP_API_KEY to a key of the workspace this "
            "home belongs to; or give the other one a home of its own (ACTIVATION_HOME); or, to leave the old one for "
            "good, run `cio-activation resync --destination customerio --new-account`"
        )


def access_hash(settings: Settings) -> str:
    """Return a hash that differs for another Track key or address, and gives neither away."""
    parts = [settings.customerio_track, *settings.secrets("customerio_track_site_id", "customerio_track_api_key")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


async def _workspace(settings: Settings, pacer: Pacer | None) -> str | None:
    async with CustomerIO(settings, pacer) as client:
        try:
            answer = await client.region()
        except VendorError:
            return None  # nothing is read by this key: `check` tells what is wrong with it
    found = answer.get("environment_id")
    return None if found is None else str(found)


def leave_workspace(runtime: Runtime) -> None:
    """Forget the workspace and who was read from it, for good: the next run reads another one's people."""
    with runtime.warehouse.write() as con:
        for table in (PEOPLE, PEOPLE_LIVE, MEMBERSHIPS):
            there = "SELECT 1 FROM duckdb_tables() WHERE schema_name || '.' || table_name = ?"
            if con.execute(there, [table]).fetchall():
                con.execute(f"DELETE FROM {table}")
        con.execute(f"UPDATE {PUBLISHED} SET rows = NULL WHERE name = ?", [PEOPLE])
        for table in (FILES, EXPORTS):  # a window that has its files would land the old workspace's again
            con.execute(f"DELETE FROM {table}")
        accounts.forget(con, VENDOR)
        for table in (PEOPLE, PEOPLE_CURRENT, *map(change_log.members_of, Lane)):
            change_log.note(con, table, None)
