// What the signed-in one may do. The server decides; the pages only leave out what it would refuse.
export const roles = ['viewer', 'operator', 'administrator'];

let role = 'viewer';

export function setRole(present = 'administrator') {
    role = present;
}

export const may = (needed) => roles.indexOf(role) >= roles.indexOf(needed);
