// A function of Node's request and response, with Vercel's helpers.
export default function handler(request, response) {
  const { name = "world" } = request.query;
  response.status(200).json({ hello: name, visits: Number(request.cookies.visits ?? 0) });
}
