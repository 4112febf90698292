"""A FastAPI application: typed input, answers that are written bit by bit, events that are no HTTP requests."""

import asyncio

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

app = FastAPI(title="Quotes")


class Order(BaseModel):
    item: str
    pieces: int = Field(gt=0, le=1000)
    price: float = Field(ge=0)


@app.get("/")
async def hello(name: str = "world"):
    return {"hello": name}


@app.post("/quote")
async def quote(order: Order):
    return {"item": order.item, "total": round(order.pieces * order.price, 2)}


@app.get("/slow")
async def slow(seconds: float = 0.2):
    """Many of these wait at the same time in one environment."""
    await asyncio.sleep(min(seconds, 5))
    return {"waited": seconds}


@app.get("/count")
async def count(to: int = 3):
    async def lines():
        for number in range(1, min(to, 100) + 1):
            yield f"{number}\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(lines(), media_type="text/plain")


@app.post("/events")
async def events(request: Request):
    """What is invoked without HTTP comes here: a queue's messages, a bucket's news, a plain Invoke."""
    event = await request.json()
    return {"records": len(event.get("Records", []))}
