// The counter of a shop: scanning with the camera where the browser can, and digits in groups of four.
// Everything works without it: digits can always be typed.
"use strict";

const DIGITS = 20;
const field = document.querySelector("[data-scan]");

if (field) {
  const input = field.querySelector("input");
  const form = input.form;

  input.addEventListener("input", () => {
    if (input.selectionStart !== input.value.length) return; // do not pull the caret away from a correction
    const digits = input.value.normalize("NFKC").replace(/\D/g, "").slice(0, DIGITS);
    input.value = digits.replace(/(\d{4})(?=\d)/g, "$1 ");
  });

  canScan().catch(() => false).then((can) => (can ? offerScanning(form, input) : sayThatDigitsAreTyped()));
}

async function canScan() {
  if (!("BarcodeDetector" in window) || !navigator.mediaDevices?.getUserMedia) return false;
  return (await BarcodeDetector.getSupportedFormats()).includes("qr_code"); // some have the name and read nothing
}

function offerScanning(form, input) {
  const scan = document.createElement("button");
  scan.type = "button";
  scan.className = "scan";
  scan.textContent = "扫顾客的二维码";
  scan.onclick = () => startScanning(form, input, scan);
  field.before(scan);
  form.querySelector("button:not([type])").className = "quiet"; // scanning comes first
  field.querySelector("label").textContent = "或者输入券码（20 位数字）";
}

function sayThatDigitsAreTyped() {
  field.querySelector(".hint").prepend("这个浏览器不能扫码，请手动输入：");
}

async function startScanning(form, input, scan) {
  const dialog = document.createElement("dialog");
  const said = document.createElement("p");
  const video = document.createElement("video");
  const stop = document.createElement("button");
  dialog.className = "scanner";
  dialog.setAttribute("aria-label", "扫码");
  said.setAttribute("role", "status");
  said.textContent = "正在打开摄像头……";
  video.muted = true;
  video.playsInline = true;
  stop.type = "button";
  stop.className = "quiet";
  stop.textContent = "不扫了，自己输入";
  stop.onclick = () => dialog.close();
  dialog.append(said, video, stop);
  document.body.append(dialog);
  dialog.showModal();

  let stream;
  dialog.addEventListener("close", () => {
    stream?.getTracks().forEach((track) => track.stop());
    dialog.remove();
    (document.body.contains(scan) ? scan : input).focus();
  });
  try {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    if (!dialog.open) return stream.getTracks().forEach((track) => track.stop());
    video.srcObject = stream;
    await video.play();
    said.textContent = "把二维码放在框里。";
    while (dialog.open) {
      const found = await detector.detect(video);
      const digits = found.map((code) => code.rawValue.replace(/\s/g, "")).find((text) => /^\d{20}$/.test(text));
      if (digits) {
        input.value = digits.replace(/(\d{4})(?=\d)/g, "$1 ");
        dialog.close();
        return form.requestSubmit();
      }
      if (found.length) said.textContent = "这不是券的二维码，请顾客打开“我的券”。";
      await new Promise((later) => setTimeout(later, 150));
    }
  } catch {
    said.textContent = "摄像头打不开。请关掉这一页，自己输入券码。";
  }
}
