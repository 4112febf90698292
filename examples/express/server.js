// An Express application, as it would run anywhere: it listens on $PORT.

import express from "express";

const app = express();
app.use(express.json());
// The platform stands before it, and says who called.
app.set("trust proxy", true);

app.get("/", (request, response) => {
  response.json({ hello: request.query.name ?? "world", from: request.ip });
});

app.post("/sum", (request, response) => {
  const { numbers } = request.body ?? {};
  if (!Array.isArray(numbers) || numbers.some((one) => typeof one !== "number")) {
    return response.status(400).json({ error: "numbers must be a list of numbers" });
  }
  response.json({ sum: numbers.reduce((sum, one) => sum + one, 0) });
});

// Server-sent events: each goes out when it happens.
app.get("/ticks", async (request, response) => {
  response.set({ "content-type": "text/event-stream", "cache-control": "no-store" });
  for (let tick = 1; tick <= 3; tick += 1) {
    response.write(`data: ${tick}\n\n`);
    await new Promise((go) => setTimeout(go, 100));
  }
  response.end();
});

const port = process.env.PORT ?? 3000;
app.listen(port, () => console.log(`listening on ${port}`));
