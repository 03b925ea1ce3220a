// The least page that calls with peerjs, after its own documentation: `?port=…&id=…` answers,
// `&call=…` calls that id at a click. Devices are open and the server is reached beforehand, as
// Konsil's are in the waiting room.
const query = new URLSearchParams(location.search);
const button = document.querySelector("button");
const video = document.querySelector("video");

const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
const peer = new Peer(query.get("id"), {
  host: "127.0.0.1",
  port: Number(query.get("port")),
  path: "/",
  // The default asks servers on the internet; here both ends are on one machine.
  config: { iceServers: [] },
});

function show(call) {
  call.on("stream", (remote) => {
    if (video.srcObject !== remote) video.srcObject = remote;
  });
}

peer.on("call", (call) => {
  show(call);
  call.answer(stream);
});
peer.on("open", () => {
  button.disabled = false;
});
button.addEventListener("click", () => show(peer.call(query.get("call"), stream)));
