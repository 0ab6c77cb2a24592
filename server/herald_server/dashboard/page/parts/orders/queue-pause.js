/** Orders that pause a queue and let it go on. */

import { post } from "../../base/http.js";

const give = (what) => (queue) => post(`api/v1/queues/${encodeURIComponent(queue)}/${what}`).then(({ message }) => `${queue}: ${message}`, ({ message }) => message);

/** Pause a queue; resolves with a sentence about the outcome. @type {(queue: string) => Promise<string>} */
export const pauseQueue = give("pause");

/** Let a paused queue go on; resolves with a sentence about the outcome. @type {(queue: string) => Promise<string>} */
export const resumeQueue = give("resume");
