// A web application behind the function's URL, with routes as Express has them and nothing to install.

const routes = [];
const get = (path, answer) => routes.push({ method: "GET", path, answer });
const post = (path, answer) => routes.push({ method: "POST", path, answer });

get("/", () => page("Hello world"));
get("/hello/:name", ({ params }) => page(`Hello ${params.name}`));
post("/shout", ({ body }) => page(body.toString().toUpperCase()));

// Carries a request (payload format 2.0) to its route.
export const handler = async (event) => {
  const { method } = event.requestContext.http;
  const body = Buffer.from(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8");
  for (const route of routes) {
    const params = route.method === method && match(route.path, event.rawPath);
    if (params) {
      return route.answer({ params, body, query: event.queryStringParameters ?? {}, headers: event.headers });
    }
  }
  return { ...page(`There is no page ${event.rawPath}`), statusCode: 404 };
};

// The values of a path's parameters; none if it is another path.
const match = (pattern, path) => {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== given.length) return undefined;
  const params = {};
  for (const [at, part] of wanted.entries()) {
    if (part.startsWith(":") && given[at] !== "") {
      try {
        params[part.slice(1)] = decodeURIComponent(given[at]);
      } catch {
        return undefined;
      }
    } else if (part !== given[at]) {
      return undefined;
    }
  }
  return params;
};

const escape = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

const page = (title) => ({
  statusCode: 200,
  headers: { "content-type": "text/html; charset=utf-8" },
  body: `<!doctype html><title>Hello</title><h1>${escape(title)}</h1>`,
});
