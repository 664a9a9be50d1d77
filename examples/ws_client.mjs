// Publishes three messages and takes them out again. Server: twistd --pidfile= -n quickpulse --mode ws
// Usage: npm install ws && node ws_client.mjs [host:port]
import WebSocket from "ws";

const server = process.argv[2] ?? "127.0.0.1:8081";

// Opens a connection; the function it gives sends requests at once and resolves to their answers, in order.
async function connect(path) {
  const socket = new WebSocket(`ws://${server}${path}`);
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const ask = requests => new Promise((resolve, reject) => {
    const answers = [];
    const listen = (data, isBinary) => {
      answers.push(isBinary ? data : data.toString());
      if (answers.length === requests.length) { socket.off("message", listen); resolve(answers); }
    };
    socket.on("message", listen).once("close", (code, reason) => reject(new Error(`closed: ${code} ${reason}`)));
    requests.forEach(request => socket.send(request));
  });
  return [ask, () => socket.close()];
}

const [publish, endPublish] = await connect("/ws/publish");
const [consume, endConsume] = await connect("/ws/consume");
console.log(await publish(["one", Buffer.from("two"), "three"]));         // [ 'ok', 'ok', 'ok' ]
for (const answer of await consume(["", "", "", ""])) {
  console.log(Buffer.isBuffer(answer) ? `message: ${answer}` : answer);  // the fourth: error: queue is empty
}
endPublish();
endConsume();
