"""What every store promises of records; see `starflow_backends.testing`."""

import asyncio

from starflow_backends.store import Store


class RecordContract:
    """Records are kept, replaced, and apart."""

    async def test_records_are_kept_and_replaced(self, store: Store) -> None:
        assert await store.get_record("space", "key") is None
        assert await store.put_record("space", "key", b"one") == b"one"
        assert await store.get_record("space", "key") == b"one"
        assert await store.put_record("space", "key", b"two") == b"two"
        assert await store.get_record("space", "key") == b"two"

    async def test_a_record_can_be_put_once(self, store: Store) -> None:
        """Of those who put it at the same time, all learn what one of them put."""
        kept = await asyncio.gather(
            *(
                store.put_record("space", "key", b"%d" % n, replace=False)
                for n in range(10)
            )
        )

        assert len(set(kept)) == 1
        assert await store.get_record("space", "key") == kept[0]

    async def test_spaces_are_apart(self, store: Store) -> None:
        await store.put_record("a", "key", b"of a")
        await store.put_record("b", "key", b"of b")
        await store.put_record("b", "other", b"")

        assert await store.scan_records("a") == {"key": b"of a"}
        assert await store.scan_records("b") == {"key": b"of b", "other": b""}
        assert await store.scan_records("c") == {}
