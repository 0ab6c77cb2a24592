"""Why a task does not run: facts, rules, and a sentence."""
