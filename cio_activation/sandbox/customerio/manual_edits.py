"""What can be done by hand in the Customer.io stand-in (``POST /_sandbox/edit`` with ``vendor: customerio``).

``{"action": ..., ...}`` where a person is named by ``cio_id``:

- ``place_order`` value, category; ``fill_cart`` value, stage; ``clear_cart``; ``click`` kind (email, winback, wismo);
- ``add_person`` id, email; ``delete_person``; ``set_attribute`` name, value (null removes it);
- ``add_to_segment``, ``remove_from_segment`` segment (a manual one);
- ``save_segment`` segment, and name, conditions (as ``GET /v1/segments/{id}`` may show them), at (else now);
- ``set_segment_state`` segment, state, progress (per cent of the members that show until ``finished``);
- ``freeze`` at (default now), ``thaw``: the workspace stands still although the clock goes on;
- ``fail_exports`` times; ``export_seconds`` seconds; ``quota`` left (false: 429 without Retry-After);
- ``spoil_exports`` how (a name of ``spoilt_files.SPOILT``, or several), times; ``spoil_members`` times: pages of
  members with a row that is none;
- ``connect_webhook`` source (reporting, journey), url, key; ``disconnect_webhooks``; ``webhook_faults`` duplicates,
  disorder (shares), resign; ``journey_webhook`` body (an object, or text as it is).

With a webhook connected, ``click`` sends a reporting event (``machine``: true for a bot's), and ``place_order``,
``fill_cart`` and ``clear_cart`` run a journey whose webhook action has ``event``, ``identifiers``, ``timestamp`` and
the action's values as its body.

Actions happen at the workspace's present instant, or at ``at`` (seconds since the epoch) if given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cio_activation.sandbox.customerio.spoilt_files import SPOILT
from cio_activation.sandbox.customerio.webhooks import SIGNING_KEY
from cio_activation.sandbox.customerio.workspace import Workspace

Change = dict[str, Any]

STATES = ("events", "build", "events_queued", "build_queued", "finished")


def apply_edit(workspace: Workspace, change: Change) -> dict[str, Any]:
    """Apply one action. Raises ValueError for an unknown one, KeyError for an unknown person or missing field."""
    action = change.get("action")
    if action not in _ACTIONS:
        raise ValueError(f"action must be one of {', '.join(_ACTIONS)}")
    instant = float(change.get("at", workspace.instant()))
    return {"at": int(instant), **(_ACTIONS[action](workspace, change, instant) or {})}


def _place_order(workspace: Workspace, change: Change, instant: float) -> None:
    workspace.world.place_order(change["cio_id"], instant, float(change["value"]), change.get("category"))
    _journey(workspace, change, instant, "order_placed", value=float(change["value"]), category=change.get("category"))


def _fill_cart(workspace: Workspace, change: Change, instant: float) -> None:
    stage = change.get("stage", "cart")
    workspace.world.fill_cart(change["cio_id"], instant, float(change["value"]), stage)
    _journey(workspace, change, instant, "cart_updated", value=float(change["value"]), stage=stage)


def _clear_cart(workspace: Workspace, change: Change, instant: float) -> None:
    workspace.world.clear_cart(change["cio_id"], instant)
    _journey(workspace, change, instant, "cart_cleared")


def _click(workspace: Workspace, change: Change, instant: float) -> None:
    kind = change.get("kind", "email")
    workspace.world.click(change["cio_id"], instant, kind)
    if workspace.webhooks.connected:
        who = _identifiers(workspace, change["cio_id"], instant)
        more = {"machine": True} if change.get("machine") else {}
        href = f"https://shop.example.com/{kind}"
        workspace.webhooks.report(
            "email",
            "clicked",
            who,
            instant,
            href=href,
            link_id=1,
            recipient=who["email"],
            subject=f"About {kind}",
            **more,
        )


def _identifiers(workspace: Workspace, cio_id: str, instant: float) -> Change:
    _, external_id, email = workspace.world.at(instant).among([cio_id])[cio_id]
    return {"id": external_id, "email": email, "cio_id": cio_id}


def _journey(workspace: Workspace, change: Change, instant: float, event: str, **values: Any) -> None:
    if workspace.webhooks.connected:
        who = _identifiers(workspace, change["cio_id"], instant)
        workspace.webhooks.act({"event": event, "identifiers": who, "timestamp": int(instant), **values})


def _add_person(workspace: Workspace, change: Change, instant: float) -> dict[str, Any]:
    added = workspace.world.add_person(instant, external_id=change.get("id"), email=change.get("email"))
    return {"cio_id": added}


def _delete_person(workspace: Workspace, change: Change, _instant: float) -> None:
    workspace.world.delete_person(change["cio_id"])


def _set_attribute(workspace: Workspace, change: Change, _instant: float) -> None:
    value = change.get("value")
    workspace.world.set_attribute(change["cio_id"], change["name"], None if value is None else str(value))


def _add_to_segment(workspace: Workspace, change: Change, _instant: float) -> None:
    workspace.world.pick(int(change["segment"]), change["cio_id"])


def _remove_from_segment(workspace: Workspace, change: Change, _instant: float) -> None:
    workspace.world.pick(int(change["segment"]), change["cio_id"], member=False)


def _set_segment_state(workspace: Workspace, change: Change, _instant: float) -> None:
    state = change["state"]
    if state not in STATES:
        raise ValueError(f"state must be one of {', '.join(STATES)}")
    segment = workspace.world.segments[int(change["segment"])]
    segment.state = state
    segment.progress = None if state == "finished" else int(change.get("progress", 50))


def _save_segment(workspace: Workspace, change: Change, instant: float) -> None:
    """Somebody saves the segment: another ``name``, other ``conditions`` as an answer may show them, or neither."""
    segment = workspace.world.segments[int(change["segment"])]
    segment.name = str(change.get("name", segment.name))
    segment.conditions = change.get("conditions", segment.conditions)
    segment.updated_at = float(change.get("at", instant))


def _freeze(workspace: Workspace, _change: Change, instant: float) -> None:
    workspace.frozen_at = instant


def _thaw(workspace: Workspace, _change: Change, _instant: float) -> None:
    workspace.frozen_at = None


def _fail_exports(workspace: Workspace, change: Change, _instant: float) -> None:
    workspace.exports.failing = int(change.get("times", 1))


def _spoil_exports(workspace: Workspace, change: Change, _instant: float) -> None:
    how = [change["how"]] if isinstance(change["how"], str) else list(change["how"])
    if unknown := set(how) - set(SPOILT):
        raise ValueError(f"how must be of {', '.join(SPOILT)}, not {', '.join(sorted(unknown))}")
    workspace.exports.spoiling = how * int(change.get("times", 1))


def _spoil_members(workspace: Workspace, change: Change, _instant: float) -> None:
    workspace.spoilt_pages = int(change.get("times", 1))


def _export_seconds(workspace: Workspace, change: Change, _instant: float) -> None:
    workspace.exports.seconds = float(change["seconds"])


def _quota(workspace: Workspace, change: Change, _instant: float) -> None:
    workspace.quota_left = bool(change["left"])


def _connect_webhook(workspace: Workspace, change: Change, _instant: float) -> None:
    workspace.webhooks.connect(change["source"], change["url"], change.get("key", SIGNING_KEY))


def _disconnect_webhooks(workspace: Workspace, _change: Change, _instant: float) -> None:
    workspace.webhooks.disconnect()


def _webhook_faults(workspace: Workspace, change: Change, _instant: float) -> None:
    names = ("duplicates", "disorder", "resign")
    workspace.webhooks.misbehave(**{name: change[name] for name in names if name in change})


def _journey_webhook(workspace: Workspace, change: Change, _instant: float) -> dict[str, Any]:
    return {"idempotency_key": workspace.webhooks.act(change["body"])}


_ACTIONS: dict[str, Callable[[Workspace, Change, float], dict[str, Any] | None]] = {
    "place_order": _place_order,
    "fill_cart": _fill_cart,
    "clear_cart": _clear_cart,
    "click": _click,
    "add_person": _add_person,
    "delete_person": _delete_person,
    "set_attribute": _set_attribute,
    "add_to_segment": _add_to_segment,
    "remove_from_segment": _remove_from_segment,
    "set_segment_state": _set_segment_state,
    "save_segment": _save_segment,
    "freeze": _freeze,
    "thaw": _thaw,
    "fail_exports": _fail_exports,
    "spoil_exports": _spoil_exports,
    "spoil_members": _spoil_members,
    "export_seconds": _export_seconds,
    "quota": _quota,
    "connect_webhook": _connect_webhook,
    "disconnect_webhooks": _disconnect_webhooks,
    "webhook_faults": _webhook_faults,
    "journey_webhook": _journey_webhook,
}
