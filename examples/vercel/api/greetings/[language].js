// The part of the path in brackets is a parameter.
const GREETINGS = { de: "Guten Tag", en: "Good day", fr: "Bonjour", it: "Buongiorno", es: "Buenos días" };

export default function handler(request, response) {
  const greeting = GREETINGS[request.query.language];
  if (!greeting) return response.status(404).json({ error: "that language is not known here", known: Object.keys(GREETINGS) });
  response.json({ greeting });
}
