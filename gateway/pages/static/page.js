// What makes the pages nicer where JavaScript runs. Everything works without it; nothing is kept on the device.
"use strict";

const SIDE = 2560; // pixels: what the server keeps anyway
const SMALL = 600_000; // bytes: photos below this are sent as they are

// Photos: shown before they are sent, made smaller on the phone, removable one by one.
for (const field of document.querySelectorAll("[data-photos]")) {
  const input = field.querySelector("input[type=file]");
  const most = Number(field.dataset.photos);
  const list = document.createElement("ul");
  const said = document.createElement("p");
  const pick = document.createElement("button");
  pick.type = "button";
  pick.className = "pick";
  pick.textContent = "拍照，或从相册选";
  pick.onclick = () => input.click();
  input.className = "offscreen";
  input.tabIndex = -1;
  list.className = "thumbs";
  said.className = "hint";
  said.setAttribute("role", "status");
  input.after(list, said, pick);
  let photos = [];
  let busy = Promise.resolve();

  const show = () => {
    const files = new DataTransfer();
    for (const photo of photos) files.items.add(photo.file);
    input.files = files.files;
    list.replaceChildren(...photos.map(thumb));
    pick.textContent = photos.length ? "再加照片" : "拍照，或从相册选";
    pick.hidden = photos.length >= most;
  };
  const thumb = (photo, index) => {
    const item = document.createElement("li");
    const image = document.createElement("img");
    const remove = document.createElement("button");
    image.src = photo.url;
    image.alt = `照片 ${index + 1}`;
    remove.type = "button";
    remove.textContent = "去掉";
    remove.setAttribute("aria-label", `去掉照片 ${index + 1}`);
    remove.onclick = () => {
      URL.revokeObjectURL(photo.url);
      photos = photos.filter((other) => other !== photo);
      show();
      said.textContent = `还有 ${photos.length} 张照片。`;
      pick.focus();
    };
    item.append(image, remove);
    return item;
  };
  const add = async (chosen) => {
    said.textContent = "正在准备照片……";
    for (const file of chosen.slice(0, most - photos.length)) {
      const small = await smaller(file);
      photos.push({ file: small, url: URL.createObjectURL(small) });
    }
    show();
    const extra = photos.length >= most && chosen.length > 0 ? `最多 ${most} 张。` : "";
    said.textContent = photos.length ? `已选 ${photos.length} 张照片。${extra}` : "";
  };
  input.addEventListener("change", () => {
    const chosen = [...input.files];
    busy = busy.then(() => add(chosen));
  });
  input.form.photosReady = () => busy;
}

async function smaller(file) {
  if (file.size < SMALL) return file;
  try {
    const image = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, SIDE / Math.max(image.width, image.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(image.width * scale);
    canvas.height = Math.round(image.height * scale);
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    image.close();
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
    return blob && blob.size < file.size ? new File([blob], "photo.jpg", { type: "image/jpeg" }) : file;
  } catch {
    return file; // the server has the last word on it
  }
}

// Long texts: how much room is left, once it gets tight.
for (const area of document.querySelectorAll("textarea[maxlength]")) {
  const left = document.createElement("p");
  left.className = "hint";
  left.setAttribute("role", "status");
  area.after(left);
  area.addEventListener("input", () => {
    const room = area.maxLength - area.value.length;
    left.textContent = room <= 200 ? `还能写 ${room} 个字。` : "";
  });
}

// Sending: once, and visibly.
for (const form of document.querySelectorAll("form")) {
  const button = form.querySelector("button:not([type])");
  const label = button.textContent;
  let ready = false;
  const reset = () => {
    ready = false;
    button.disabled = false;
    button.textContent = label;
  };
  form.addEventListener("submit", async (event) => {
    if (ready) return;
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    button.textContent = "正在提交……";
    await form.photosReady?.();
    await new Promise((later) => setTimeout(later)); // a form that is just being submitted ignores a second call
    ready = true;
    form.requestSubmit();
    setTimeout(reset, 60_000); // should the network have swallowed it: sending again is safe
  });
  addEventListener("pageshow", reset);
}

// All that can be reported: find it by a few characters.
const more = document.querySelector(".more");
if (more) {
  const search = document.createElement("input");
  const none = document.createElement("p");
  search.type = "search";
  search.placeholder = "输入几个字找，比如：漏水";
  search.setAttribute("aria-label", "找问题");
  search.maxLength = 20;
  none.className = "hint";
  none.setAttribute("role", "status");
  more.querySelector("summary").after(search, none);
  const groups = [...more.querySelectorAll("details")];
  search.addEventListener("input", () => {
    const words = search.value.trim();
    let found = 0;
    for (const group of groups) {
      const whole = group.querySelector("summary").textContent.includes(words);
      let here = 0;
      for (const row of group.querySelectorAll(".row")) {
        row.hidden = !(whole || row.textContent.includes(words));
        here += row.hidden ? 0 : 1;
      }
      group.hidden = here === 0;
      group.open = words !== "" && here > 0;
      found += here;
    }
    none.textContent = words === "" ? "" : found ? `找到 ${found} 项。` : "没有找到，换个说法，或选“其他诉求”。";
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
}

// The private link: copied with one press.
const link = document.getElementById("link");
if (link) {
  const copy = document.createElement("button");
  copy.type = "button";
  copy.className = "quiet";
  copy.textContent = "复制链接";
  copy.onclick = async () => {
    link.select();
    try {
      await navigator.clipboard.writeText(link.value);
    } catch {
      document.execCommand("copy");
    }
    copy.textContent = "已经复制，可以粘贴到微信收藏";
  };
  link.after(copy);
}
