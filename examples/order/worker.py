"""The functions that the order workflow calls, and a worker that executes them.

python examples/order/worker.py [ADDRESS]
"""

import asyncio
import sys
from typing import Any

import starflow

stock = starflow.Module("stock")
payments = starflow.Module("payments")
approvals = starflow.Module("approvals")
shipping = starflow.Module("shipping")

PRICES = {"lamp": 4200, "bulb": 350}


def say(ctx: starflow.TaskContext, text: str) -> None:
    """Tell whoever watches what is being done."""
    print(f"{ctx.function}, attempt {ctx.attempt}: {text}", flush=True)


@stock.function
def reserve(ctx: starflow.TaskContext, order: str, items: list[str]) -> dict[str, Any]:
    """Put the goods aside."""
    for item in items:
        if item not in PRICES:
            # Asking again cannot help, so the service must not.
            raise starflow.PermanentError(f"there is no {item}", code="NO_SUCH_ITEM")
    say(ctx, f"holding {', '.join(items)}")
    return {"id": f"hold-{order}", "cents": sum(PRICES[i] for i in items)}


@payments.function(retry=starflow.Retry(max_attempts=5, initial=0.5))
async def charge(ctx: starflow.TaskContext, order: str, cents: int) -> dict[str, Any]:
    """Charge the card at a bank that is not at its best today."""
    if ctx.attempt == 1:
        say(ctx, "the bank hangs up")
        raise ConnectionError("the bank hung up")
    say(ctx, "the bank is slow")
    await asyncio.sleep(2)
    # `task_id` is the same in every attempt, so that a real bank would charge once.
    say(ctx, f"charged {cents} cents under key {ctx.task_id}")
    return {"id": f"receipt-{order}", "cents": cents}


@payments.function
async def refund(ctx: starflow.TaskContext, receipt: str) -> None:
    """Give the money back."""
    say(ctx, f"refunding {receipt}")


@approvals.function
async def ask(
    ctx: starflow.TaskContext, order: str, cents: int
) -> starflow.WaitForSignal:
    """Ask a person, who answers by a signal whenever they find the time."""
    say(ctx, f"waiting for approval of {cents} cents for order {order}")
    return starflow.wait_for_signal(timeout=24 * 3600)


@shipping.function
async def ship(ctx: starflow.TaskContext, order: str, hold: str) -> dict[str, Any]:
    """Hand the goods to the carrier."""
    say(ctx, f"shipping {hold}")
    return {"id": f"parcel-{order}"}


async def main(address: str) -> None:
    """Execute functions until told to stop."""
    modules = [stock, payments, approvals, shipping]
    async with starflow.Client(address) as client:
        await starflow.Worker(client, modules=modules).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7233"))
