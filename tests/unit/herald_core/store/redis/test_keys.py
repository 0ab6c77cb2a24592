"""The names of keys, and the sets in which a task lies."""

from herald_core.model.tasks.views import TaskView
from herald_core.store.index_terms import list_index_terms
from herald_core.store.redis.keys import RedisKeys


def test_all_keys_share_one_hash_tag() -> None:
    keys = RedisKeys("{mine}")
    made = [
        *(value for name, value in vars(keys).items() if name != "prefix"),
        keys.make_record("t", "t1"),
        keys.make_index("state", "SUCCESS"),
        keys.make_values("name"),
        keys.make_lease("sweep"),
    ]
    assert all(key.startswith("{mine}:") for key in made)
    assert len(set(made)) == len(made)


def test_a_task_lies_in_the_places_of_what_it_has() -> None:
    image = TaskView(
        id="t1",
        state="SUCCESS",
        name="x",
        worker="w1@h",
        queue="mail",
        root_id="r1",
        parent_id="p1",
        group_id="g1",
        tags=("a", "b"),
    )
    assert list(list_index_terms(image)) == [
        ("state", "SUCCESS"),
        ("name", "x"),
        ("worker", "w1@h"),
        ("queue", "mail"),
        ("root", "r1"),
        ("parent", "p1"),
        ("group", "g1"),
        ("tag", "a"),
        ("tag", "b"),
    ]
    assert list_index_terms(TaskView(id="t1", root_id="t1")) == ()
