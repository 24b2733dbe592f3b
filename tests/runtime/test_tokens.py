import pytest

from starflow_service.runtime.tokens import Token, Tokens


def test_a_token_is_known_to_every_server_that_has_the_secret():
    token, delivery = Tokens(b"secret", "boot1").make("ns/run", 2, 3)
    assert Tokens(b"secret", "boot2").parse(token) == Token("ns/run", 2, 3, delivery)


def test_another_secret_makes_other_tokens():
    token, _ = Tokens(b"secret", "boot").make("ns/run", 2, 3)
    assert Tokens(b"other", "boot").parse(token) is None


def test_no_two_deliveries_have_one_name():
    tokens = Tokens(b"secret", "boot")
    deliveries = {tokens.make("ns/run", 2, 1)[1] for _ in range(100)}
    assert len(deliveries) == 100


@pytest.mark.parametrize("position", range(0, 60, 7))
def test_a_token_that_was_changed_is_none(position):
    tokens = Tokens(b"secret", "boot")
    token, _ = tokens.make("namespace/some-run", 12, 3)
    changed = token[:position] + chr(ord(token[position]) ^ 1) + token[position + 1 :]
    assert tokens.parse(changed) is None
