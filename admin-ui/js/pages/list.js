// Every page: where it is, what it is called, and the view that shows it. One without an icon is within
// another.
import { gauge } from '../shell/icon.js';
import { Overview } from './overview.js';

export const pages = [
    { path: '/_/', pattern: /^\/_\/$/, name: 'Overview', icon: gauge, view: Overview },
];
