// Every page: where it is, what it is called, and the view that shows it. One without an icon is within
// another.
import { bolt, braces, disk, fork, gauge, letter, lines, people, servers, sliders, stack } from '../shell/icon.js';
import { Api } from './api.js';
import { Cache } from './cache.js';
import { Configuration } from './configuration.js';
import { Gateway } from './gateway.js';
import { Job } from './job.js';
import { Jobs } from './jobs.js';
import { Logs } from './logs.js';
import { Mail, Mails } from './mails.js';
import { Overview } from './overview.js';
import { Routes } from './routes.js';
import { Storage } from './storage.js';
import { Administrators, Users } from './users.js';

export const pages = [
    { path: '/_/', pattern: /^\/_\/$/, name: 'Overview', icon: gauge, view: Overview },
    { path: '/_/routes', pattern: /^\/_\/routes$/, name: 'Routes', icon: fork, view: Routes },
    { path: '/_/reference', pattern: /^\/_\/reference$/, name: 'API', icon: braces, view: Api },
    { path: '/_/gateway', pattern: /^\/_\/gateway$/, name: 'Gateway', icon: servers, view: Gateway },
    { path: '/_/jobs', pattern: /^\/_\/jobs$/, name: 'Jobs', icon: stack, view: Jobs },
    { pattern: /^\/_\/jobs\/([\w-]+)$/, within: 'Jobs', title: (id) => `Job ${id.slice(-8)}`, view: Job },
    { path: '/_/logs', pattern: /^\/_\/logs$/, name: 'Logs', icon: lines, view: Logs },
    { path: '/_/users', pattern: /^\/_\/users$/, name: 'Users', icon: people, view: Users },
    { pattern: /^\/_\/users\/administrators$/, within: 'Users', title: () => 'Administrators', view: Administrators },
    { path: '/_/mails', pattern: /^\/_\/mails$/, name: 'Mail box', icon: letter, view: Mails },
    { pattern: /^\/_\/mails\/((?:old-)?\d+)$/, within: 'Mail box', title: () => 'Message', view: Mail },
    { path: '/_/cache', pattern: /^\/_\/cache$/, name: 'Cache', icon: bolt, view: Cache },
    { path: '/_/storage', pattern: /^\/_\/storage$/, name: 'Storage', icon: disk, view: Storage },
    { path: '/_/configuration', pattern: /^\/_\/configuration$/, name: 'Configuration', icon: sliders, view: Configuration },
];
