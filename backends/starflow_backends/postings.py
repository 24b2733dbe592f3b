"""Runs by what they are found by, in dictionaries: `Store.find` for those in memory."""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence

from starflow_backends.store import Entry, Place, Query


class Postings:
    """For each term the places of the runs that have it, sorted."""

    def __init__(self) -> None:
        self._places: dict[int, list[Place]] = {}

    def change(self, run: str, before: Entry | None, after: Entry | None) -> None:
        """Let *run* be found by its entry as it is now."""
        old = before.terms if before else {}
        new = after.terms if after else {}
        for term, time_ns in old.items():
            if new.get(term) != time_ns:
                self._remove(term, (time_ns, run))
        for term, time_ns in new.items():
            if old.get(term) != time_ns:
                insort(self._places.setdefault(term, []), (time_ns, run))

    def clear(self) -> None:
        """Forget all."""
        self._places.clear()

    def find(self, query: Query) -> tuple[list[Place], Place | None]:
        """Return the places that *query* asks for, and where to go on."""
        driving, *others = sorted(query.groups, key=self._count)
        found: list[Place] = []
        for place in self._newest_first(driving, query):
            if not place[1].startswith(query.prefix):
                continue
            if not all(self._has_one(group, place) for group in others):
                continue
            if len(found) == query.limit:
                return found, found[-1]
            found.append(place)
        return found, None

    def _newest_first(self, group: Sequence[int], query: Query) -> Iterator[Place]:
        end = end_of(query)
        parts = []
        for term in group:
            places = self._places.get(term, [])
            first = bisect_left(places, (query.since_ns, ""))
            parts.append(places[first : bisect_left(places, end)][::-1])
        last = None
        for place in heapq.merge(*parts, reverse=True):
            if place != last:
                yield place
            last = place

    def _count(self, group: Sequence[int]) -> int:
        return sum(len(self._places.get(term, ())) for term in group)

    def _has_one(self, group: Sequence[int], place: Place) -> bool:
        for term in group:
            places = self._places.get(term, [])
            at = bisect_left(places, place)
            if at < len(places) and places[at] == place:
                return True
        return False

    def _remove(self, term: int, place: Place) -> None:
        places = self._places[term]
        del places[bisect_left(places, place)]
        if not places:
            del self._places[term]


def time_in(terms: Mapping[int, int], query: Query) -> int | None:
    """Return the time of a run with *terms*, or None if it is not looked for."""
    time_ns = None
    for group in query.groups:
        time_ns = next((terms[term] for term in group if term in terms), None)
        if time_ns is None or not query.since_ns <= time_ns < query.before_ns:
            return None
    return time_ns


def end_of(query: Query) -> Place:
    """Return the place that all that is looked for comes before."""
    end: Place = (query.before_ns, "")
    return end if query.after is None else min(end, query.after)
