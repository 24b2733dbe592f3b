"""Types that several tests convert to and from."""


class Model:
    """Looks like a pydantic model, as far as anybody here looks."""

    def __init__(self, n):
        self.n = n

    @classmethod
    def model_validate(cls, value):
        if not isinstance(value, dict) or "n" not in value:
            raise ValueError("no n")
        return cls(value["n"])

    def model_dump(self, *, mode):
        assert mode == "json"
        return {"n": self.n}
