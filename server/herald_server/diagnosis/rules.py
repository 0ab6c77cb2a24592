"""Diagnose why a task makes no progress, from collected facts. Pure.

Each message names its evidence: an event, an answer of workers, a count of the broker,
a look into a queue. Without that evidence it is not returned.
"""

from __future__ import annotations

from herald_server.diagnosis import end_rules, held_rules, waiting_rules
from herald_server.diagnosis.facts import Diagnosis, TaskFacts

RULES = (
    end_rules.explain_missing,
    end_rules.explain_loss,
    end_rules.explain_outcome,
    end_rules.explain_unknown_end,
    held_rules.explain_running,
    held_rules.explain_running_unknown,
    waiting_rules.explain_cancelled,
    waiting_rules.explain_expired,
    held_rules.explain_retrying,
    held_rules.explain_received,
    held_rules.explain_held_unknown,
    waiting_rules.explain_chain,
    waiting_rules.explain_eta,
    waiting_rules.explain_paused,
    waiting_rules.explain_blindness,
    waiting_rules.explain_silent_consumers,
    waiting_rules.explain_unconsumed,
    waiting_rules.explain_discarded,
)
"""The rules in their order: the first that explains the task's state decides."""


def diagnose(facts: TaskFacts) -> Diagnosis:
    """Return the first diagnosis that explains the task's state."""
    for explain in RULES:
        diagnosis = explain(facts)
        if diagnosis is not None:
            return diagnosis
    return waiting_rules.explain_queued(facts)
