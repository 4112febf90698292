// Runs on a schedule: EventBridge sends one event each time.

export const handler = async (event) => {
  // The time it was due, not the time it began: a late or repeated run does the same work.
  const due = new Date(event.time);
  const rule = event.resources?.[0]?.split("/").pop() ?? "by hand";
  console.log(`${rule}: the run of ${due.toISOString()}`);
  return { day: due.toISOString().slice(0, 10) };
};
