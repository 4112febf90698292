// Keeps items in a DynamoDB table, behind HTTP: GET, PUT and DELETE of /items/ID.
//
// The table's name is in the environment as TABLE; its key is the string `id`.

let made;

// Made at the first use: a request that is refused needs no table.
const table = async () => {
  if (!made) {
    const { DynamoDBClient } = await import("@aws-sdk/client-dynamodb");
    const lib = await import("@aws-sdk/lib-dynamodb");
    // Inside Lambent AWS_ENDPOINT_URL is set, and the SDK goes there by itself.
    const client = lib.DynamoDBDocumentClient.from(new DynamoDBClient({}));
    const send = (Command, input) => client.send(new Command({ TableName: process.env.TABLE, ...input }));
    made = {
      get: async (id) => (await send(lib.GetCommand, { Key: { id } })).Item,
      put: (Item) => send(lib.PutCommand, { Item }),
      delete: (id) => send(lib.DeleteCommand, { Key: { id } }),
    };
  }
  return made;
};

export const handler = async (event) => {
  const { method } = event.requestContext.http;
  const [, name] = event.rawPath.match(/^\/items\/(.*)$/) ?? [];
  if (name === undefined) return answer(404, { error: "items are at /items/ID" });
  const id = decoded(name);
  if (id === undefined || id.length < 1 || id.length > 100 || id.includes("/")) {
    return answer(400, { error: "an id has 1 to 100 characters and no slash" });
  }
  if (method === "GET") {
    const item = await (await table()).get(id);
    return item ? answer(200, item) : answer(404, { error: `there is no item ${id}` });
  }
  if (method === "PUT") {
    const { title, wrong } = titleOf(event);
    if (wrong) return answer(400, { error: wrong });
    const item = { id, title };
    await (await table()).put(item);
    return answer(200, item);
  }
  if (method === "DELETE") {
    await (await table()).delete(id);
    return { statusCode: 204 };
  }
  return answer(405, { error: `${method} is not for items` });
};

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

// The title that was sent, or what is wrong with it.
const titleOf = (event) => {
  let value;
  try {
    value = JSON.parse(event.isBase64Encoded ? Buffer.from(event.body, "base64").toString() : (event.body ?? ""));
  } catch {
    return { wrong: "the body must be JSON" };
  }
  const title = value?.title;
  const fits = typeof title === "string" && title.length > 0 && title.length <= 200;
  return fits ? { title } : { wrong: "title must be a text of 1 to 200 characters" };
};

const answer = (statusCode, value) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value),
});
