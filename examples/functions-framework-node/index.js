// Two functions as Google's clouds run them: one of HTTP, one of CloudEvents.

const functions = require("@google-cloud/functions-framework");

functions.http("hello", (request, response) => {
  response.json({ hello: request.query.name ?? "world" });
});

functions.cloudEvent("seen", (event) => {
  console.log(`${event.type} of ${event.source}: ${JSON.stringify(event.data)}`);
});
