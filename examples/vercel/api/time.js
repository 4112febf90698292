// A function of the web's own Request and Response, by method.
export function GET(request) {
  const zone = new URL(request.url).searchParams.get("zone") ?? "UTC";
  try {
    return Response.json({ zone, time: new Date().toLocaleTimeString("en-GB", { timeZone: zone }) });
  } catch {
    return Response.json({ error: `${zone} is no time zone` }, { status: 400 });
  }
}

export async function POST(request) {
  const { epoch } = await request.json();
  return Response.json({ time: new Date(epoch * 1000).toISOString() });
}
