"""A program of a user with mistakes: each line with a mark is one for both checkers."""

import starflow

shop = starflow.Module("shop")


@shop.function
def price(ctx: starflow.TaskContext, name: str) -> int:
    return len(name)


@shop.function(name="Buy", retry=starflow.Retry(max_attempts=2))
async def buy(req: dict[str, int]) -> str:
    return str(req)


async def main(client: starflow.Client, sync: starflow.SyncClient) -> None:
    total: str = price(starflow.TaskContext.__new__(starflow.TaskContext), "a")  # wrong
    price("a")  # wrong
    bought: int = await buy({"a": 1})  # wrong
    await buy({"a": "b"})  # wrong
    run = await client.start("...", conflict="whatever")  # wrong
    number: int = await run.result(result_type=str)  # wrong
    sync.start("...").result(timeout="soon")  # wrong
    shop.function(runs_in="moon")  # wrong
    starflow.Retry(attempts=3)  # wrong
    starflow.Worker(client, modules=shop)  # wrong: modules=[shop]
    assert total or bought or number
