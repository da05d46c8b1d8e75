// The only module that touches the API key: sessionStorage of this tab, and nowhere else.
const NAME = "orion-merchant-key";
const leaving = [];

export const currentKey = () => sessionStorage.getItem(NAME);

export function keep(key) {
  sessionStorage.setItem(NAME, key);
}

export function onLeave(act) {
  leaving.push(act);
}

export function leave(reason) {
  sessionStorage.removeItem(NAME);
  for (const act of leaving) act(reason);
}
