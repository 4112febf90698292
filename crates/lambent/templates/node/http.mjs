// Answers HTTP requests: a function URL or API Gateway sends them (payload format 2.0).

export const handler = async (event) => {
  const { method } = event.requestContext.http;
  const route = `${method} ${event.rawPath}`;
  if (route === "GET /") {
    return answer(200, { hello: event.queryStringParameters?.name ?? "world" });
  }
  if (route === "POST /echo") {
    try {
      return answer(200, { "you sent": JSON.parse(body(event)) });
    } catch {
      return answer(400, { error: "the body must be JSON" });
    }
  }
  return answer(404, { error: `there is no ${route}` });
};

// The request's body as text; what is not text arrives in base64.
const body = (event) => (event.isBase64Encoded ? Buffer.from(event.body, "base64").toString() : (event.body ?? ""));

const answer = (statusCode, value) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value),
});
