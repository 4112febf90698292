const show = (id, text) => (document.getElementById(id).textContent = text);
const json = async (path) => (await fetch(path)).json();

async function greet() {
  const said = await json(`/api/greetings/${document.getElementById("language").value}`);
  show("greeting", said.greeting ?? said.error);
}

document.getElementById("language").onchange = greet;
greet();
show("time", (await json("/api/time?zone=Europe/Berlin")).time);
show("hello", `hello ${(await json("/hello/Ada")).hello}`);
